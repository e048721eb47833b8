// Package composer holds the commands that compose images and need no
// signature of others: what a build loop runs, and what must start at once. It
// must not link the signing libraries, whose start-up is longer than a warm
// build; they are in package builder, which adds its commands to these.
package composer

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

// New returns the root of the command tree with the commands of this package.
// from opens the images that definitions start from.
func New(f *cli.Frame, from OpenFrom) *cobra.Command {
	root := &cobra.Command{
		Use:   "hardstand",
		Short: "Hardened base images for compiled applications: built, proven, guarded",
		Long: `hardstand composes minimal container images from a signed Debian archive, without
Docker and without root, puts a health probe, a non-root user and decoys into
them, signs them, and publishes them under tags that are never overwritten.`,
		Example: `  hardstand build static -o oci:static       # an image as an OCI layout
  hardstand build base -o docker:base:dev    # an image in the local Docker
  hardstand keygen                           # a signing key
  hardstand publish static registry.example/static:1 --key hardstand.key
  hardstand verify registry.example/static:1 --key hardstand.pub`,
		Version: f.Version,
	}
	root.AddCommand(imagesCommand(f), lockCommand(f, from), buildCommand(f, from), diffCommand(f), wrapCommand(f, from), cacheCommand(f))
	return root
}

// Handles reports whether a command line is for a tree: it names one of its
// commands first and does not ask for help about others.
func Handles(root *cobra.Command, args []string) bool {
	if len(args) == 0 {
		return false
	}
	if args[0] == "--version" {
		return true
	}
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] })
}
