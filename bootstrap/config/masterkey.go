package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/keylodge/keylodge/adapters/masterkey"
)

const masterKeyFile = "keylodge.secret"

// LoadOrCreateMasterKey is the configured secret, or the one kept beside the database. One is made for a new database only: an old
// one whose key is missing was made under a key that somebody should bring back.
func (c Config) LoadOrCreateMasterKey() (masterkey.Key, error) {
	if c.Secret != nil {
		return *c.Secret, nil
	}
	if c.Database.IsServer() {
		return masterkey.Key{}, errors.New("a database on a server has no key file beside it: it needs a configured secret")
	}
	path := c.Database.SecretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && c.Database.nonEmpty() {
		return masterkey.Key{}, fmt.Errorf("the database %s is there and its key file %s is not: put the file back, or set KEYLODGE_SECRET to the secret that was used",
			c.Database, path)
	}
	return masterkey.LoadOrCreate(path)
}

// LoadMasterKey is LoadOrCreateMasterKey for those who only look: it makes none.
func (c Config) LoadMasterKey() (masterkey.Key, error) {
	if c.Secret != nil {
		return *c.Secret, nil
	}
	path := c.Database.SecretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return masterkey.Key{}, fmt.Errorf("the key file %s is not there: put it back, or set KEYLODGE_SECRET to the secret that was used", path)
	}
	return masterkey.LoadOrCreate(path)
}
