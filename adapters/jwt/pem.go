package jwt

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/ports"
)

const keygenHint = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"

// ParsePEM reads an operator's own keys: one or more private keys in PEM, in PKCS #8 or SEC 1, on P-256 or Ed25519. The
// first is to sign; the others are still published and believed. Whatever is in the file and cannot be used is an error,
// so that no key goes missing unnoticed. Errors say what to do, and hold nothing of the keys.
func ParsePEM(file []byte) ([]ports.TokenKey, error) {
	blocks, err := pemBlocks(file)
	if err != nil {
		return nil, err
	}
	var keys []ports.TokenKey
	blockOf := map[string]int{}
	for i, block := range blocks {
		if block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes it before the key, which repeats it
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
		return nil, errors.New("there is no private key in PEM; " + keygenHint)
	}
	return keys, nil
}

// pemBlocks returns an error if a block is damaged, which pem.Decode would step over.
func pemBlocks(file []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	if begun := bytes.Count(file, []byte("-----BEGIN ")); begun != len(blocks) {
		return nil, fmt.Errorf("of %d PEM blocks %d can be read; copy the file again, whole and as plain text", begun, len(blocks))
	}
	return blocks, nil
}

// parseBlock gives no causes of its errors: they could quote the key.
func parseBlock(block *pem.Block) (*Key, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, errors.New("is encrypted; take its passphrase away with: openssl pkey -in ENCRYPTED -out PLAIN")
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
		return nil, errors.New("is only the public half of a key; put the private one in its place")
	default:
		return nil, errors.New("is no private key in PKCS #8 or SEC 1; remove it, or " + keygenHint)
	}
	if err != nil {
		return nil, errors.New("cannot be read; copy the file again, or " + keygenHint)
	}
	key, err := newKey(private)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, keygenHint)
	}
	return key, nil
}
