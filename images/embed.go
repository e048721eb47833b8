// Package images holds the built-in image definitions and their locks.
package images

import "embed"

// Files holds NAME.yaml and NAME.lock.json for every image.
//
//go:embed *.yaml *.lock.json
var Files embed.FS
