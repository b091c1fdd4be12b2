//go:build !unix

package masterkey

import "io/fs"

func ownedByRoot(fs.FileInfo) bool { return false }
