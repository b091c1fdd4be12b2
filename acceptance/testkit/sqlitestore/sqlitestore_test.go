package sqlitestore_test

import (
	"testing"
	"testing/synctest"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestNew_contract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) ports.Store { return sqlitestore.New(t) })
}

func TestNewInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := sqlitestore.NewInBubble(t).Update(t.Context(), func(ports.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
