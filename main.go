// Command keylodge is a passkey server. Without arguments it serves.
package main

import (
	"os"

	"github.com/keylodge/keylodge/bootstrap"
)

func main() {
	os.Exit(bootstrap.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
