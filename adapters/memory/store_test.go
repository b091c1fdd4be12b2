package memory_test

import (
	"testing"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) ports.Store { return memory.New() })
}
