package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/keylodge/keylodge/adapters/masterkey"
)

const masterKeyFile = "keylodge.secret"

// LoadOrCreateMasterKey returns KEYLODGE_SECRET, or the secret in the key file. It creates the key file only for a new database:
// the data of an existing one is encrypted with the missing key.
func (c Config) LoadOrCreateMasterKey() (masterkey.Key, error) {
	if c.Secret != nil {
		return *c.Secret, nil
	}
	if c.Database.IsServer() {
		return masterkey.Key{}, errors.New("a PostgreSQL database has no key file: set KEYLODGE_SECRET")
	}
	path := c.Database.SecretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && c.Database.nonEmpty() {
		return masterkey.Key{}, fmt.Errorf("the database %s exists and its key file %s does not: restore the file, or set KEYLODGE_SECRET to the secret that was used",
			c.Database, path)
	}
	return masterkey.LoadOrCreate(path)
}

// LoadMasterKey returns KEYLODGE_SECRET, or the secret in the key file. It returns an error if the key file does not exist.
func (c Config) LoadMasterKey() (masterkey.Key, error) {
	if c.Secret != nil {
		return *c.Secret, nil
	}
	path := c.Database.SecretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return masterkey.Key{}, fmt.Errorf("the key file %s does not exist: restore it, or set KEYLODGE_SECRET to the secret that was used", path)
	}
	return masterkey.LoadOrCreate(path)
}
