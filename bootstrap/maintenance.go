package bootstrap

import (
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// newMaintenance returns the maintenance of the database of the settings. It opens no database.
func newMaintenance() (cli.Maintenance, error) {
	cfg, err := loadSettings()
	if err != nil {
		return cli.Maintenance{}, err
	}
	database := cfg.Database.Maintenance()
	m := cli.Maintenance{
		Database: cfg.Database.String(), Backups: database, Schema: database,
		CheckSecret: func(keys domain.SigningKeys) error { return requireDecryptable(cfg, keys) },
	}
	if cfg.Secret == nil {
		m.SecretFile = cfg.Database.SecretFile()
	}
	return m, nil
}

func requireDecryptable(cfg config.Config, keys domain.SigningKeys) error {
	if len(keys) == 0 {
		return nil
	}
	secret, err := cfg.LoadMasterKey()
	if err != nil {
		return err
	}
	sealer, err := sealer(cfg, secret)
	if err != nil {
		return err
	}
	return signingkeys.RequireDecryptable(keys, sealer)
}
