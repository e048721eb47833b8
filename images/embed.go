// Package images holds the built-in image definitions and their locks.
package images

import "embed"

// Files holds NAME.yaml and NAME.lock.json for every image, NAME-VARIANT.lock.json
// for a variant with other packages, and parts/*.yaml, what several include.
//
//go:embed *.yaml *.lock.json parts/*.yaml
var Files embed.FS
