// Package builder holds the commands of bin/hardstand: what builds, signs,
// publishes and verifies, one file a command.
package builder

import (
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

// New returns the command tree.
func New(f *cli.Frame) *cobra.Command {
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
	root.AddCommand(
		imagesCommand(f), lockCommand(f), buildCommand(f), wrapCommand(f),
		publishCommand(f), attestCommand(f), verifyCommand(f), keygenCommand(f), policyCommand(f), replicateCommand(f), resignCommand(f), pruneCommand(f),
		canaryCommand(f), registryCommand(f), cacheCommand(f),
		auditCommand(f), scanCommand(f), runtimeCommand(f),
	)
	return root
}
