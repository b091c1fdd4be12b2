//go:build !unix

package masterkey

import "io/fs"

func isRoots(fs.FileInfo) bool { return false }
