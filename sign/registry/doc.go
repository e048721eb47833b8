// Package registry brings signed images into OCI registries: it publishes under
// tags that are never overwritten, reads what is attached to an image, and
// copies signed images to other registries.
//
// Content goes in first and by digest, names come last: whoever resolves a
// release tag finds an image that was signed, read back and verified before the
// tag existed. The package speaks HTTPS, and plain HTTP to loopback addresses
// only.
package registry
