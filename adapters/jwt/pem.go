package jwt

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/ports"
)

const keygenHint = "generate one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"

// ParsePEM parses the keys of an operator: one or more private keys in PEM, in PKCS #8 or SEC 1, on P-256 or Ed25519. The first one
// signs; all are published and verify. A block that cannot be used is an error, so that no key is missing unnoticed. Errors say
// what to do and do not contain keys.
func ParsePEM(file []byte) ([]ports.TokenKey, error) {
	blocks, err := pemBlocks(file)
	if err != nil {
		return nil, err
	}
	var keys []ports.TokenKey
	blockOf := map[string]int{}
	for i, block := range blocks {
		if block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes the parameters before the key, which contains them
			continue
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("block %d (%s) %w", i+1, block.Type, err)
		}
		if first, known := blockOf[key.id]; known {
			return nil, fmt.Errorf("blocks %d and %d are the same key; remove one of them", first, i+1)
		}
		blockOf[key.id] = i + 1
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no private key in PEM format; " + keygenHint)
	}
	return keys, nil
}

// pemBlocks returns an error for a damaged block, which pem.Decode skips.
func pemBlocks(file []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	if begun := bytes.Count(file, []byte("-----BEGIN ")); begun != len(blocks) {
		return nil, fmt.Errorf("%d of %d PEM blocks are damaged; copy the file again, completely and as plain text", begun-len(blocks), begun)
	}
	return blocks, nil
}

// parseBlock returns errors without their causes, which may contain the key.
func parseBlock(block *pem.Block) (*Key, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, errors.New("is encrypted; decrypt it with: openssl pkey -in ENCRYPTED -out PLAIN")
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		return nil, errors.New("is a public key; replace it by the private key")
	default:
		return nil, errors.New("is not a private key in PKCS #8 or SEC 1; remove it, or " + keygenHint)
	}
	if err != nil {
		return nil, errors.New("is damaged; copy the file again, or " + keygenHint)
	}
	key, err := newKey(private)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, keygenHint)
	}
	return key, nil
}
