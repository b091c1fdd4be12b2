package bootstrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

// newMaintenance names the database that the settings name, for what is done to it as a whole.
func newMaintenance() (cli.Maintenance, error) {
	config, err := loadSettings()
	if err != nil {
		return cli.Maintenance{}, err
	}
	database := config.Database.maintenance()
	m := cli.Maintenance{
		Database: config.Database.String(), Backups: database, Schema: database,
		CheckSecret: func(keys domain.SigningKeys) error { return requireDecryptable(config, keys) },
	}
	if config.Secret == nil {
		m.SecretFile = config.Database.secretFile()
	}
	return m, nil
}

func requireDecryptable(config Config, keys domain.SigningKeys) error {
	if len(keys) == 0 {
		return nil
	}
	secret, err := loadMasterKey(config)
	if err != nil {
		return err
	}
	sealer, err := sealer(config, secret)
	if err != nil {
		return err
	}
	return signingkeys.RequireDecryptable(keys, sealer)
}

// loadMasterKey is masterKey for those who only look: it makes none.
func loadMasterKey(config Config) (masterkey.Key, error) {
	if config.Secret != nil {
		return *config.Secret, nil
	}
	path := config.Database.secretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return masterkey.Key{}, fmt.Errorf("the key file %s is not there: put it back, or set KEYLODGE_SECRET to the secret that was used", path)
	}
	return masterkey.LoadOrCreate(path)
}
