// Package builder holds every command of hardstand that signs, publishes,
// verifies or guards, one file a command, and adds them to those of package
// composer.
package builder

import (
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
)

// New returns the command tree.
func New(f *cli.Frame) *cobra.Command {
	root := composer.New(f, openFrom(f))
	root.AddCommand(
		publishCommand(f), attestCommand(f), verifyCommand(f), keygenCommand(f), policyCommand(f), replicateCommand(f), resignCommand(f), pruneCommand(f),
		canaryCommand(f), registryCommand(f),
		auditCommand(f), scanCommand(f), runtimeCommand(f),
	)
	return root
}
