package config

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
)

const masterKeyFile = "keylodge.secret"

// LoadMasterKey returns KEYLODGE_SECRET, or the secret in the key file. It returns an error that is fs.ErrNotExist (errors.Is) if
// the key file does not exist.
func (c Config) LoadMasterKey() (masterkey.Key, error) {
	if c.Secret != nil {
		return *c.Secret, nil
	}
	path := c.Database.SecretFile()
	if path == "" {
		return masterkey.Key{}, errors.New("a PostgreSQL database has no key file: set KEYLODGE_SECRET")
	}
	key, err := masterkey.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("the key file of the database %s is missing: restore the file, or set KEYLODGE_SECRET to the secret that was used: %w", c.Database, err)
	}
	return key, err
}

// LoadOrCreateMasterKey returns the same as LoadMasterKey, but creates a missing key file for a new database. It does not create
// one for an existing database, whose data is encrypted with the missing key, or which is another program's.
func (c Config) LoadOrCreateMasterKey() (masterkey.Key, error) {
	key, err := c.LoadMasterKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if c.Database.isMissingFile() {
		return masterkey.LoadOrCreate(c.Database.SecretFile())
	}
	if err := sqlite.CheckOwner(c.Database.path); err != nil {
		return masterkey.Key{}, err
	}
	return key, err
}
