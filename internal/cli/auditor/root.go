// Package auditor holds the commands of bin/hardstand-audit: what judges,
// scans and configures, one file a command. hardstand hands over to it, so
// its root is called hardstand too.
package auditor

import (
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
)

// New returns the command tree.
func New(f *cli.Frame) *cobra.Command {
	root := &cobra.Command{
		Use:   "hardstand",
		Short: "The container hardening guide as checks with evidence",
		Example: `  hardstand audit Dockerfile
  hardstand audit .`,
		Version: f.Version,
	}
	root.AddCommand(auditCommand(f), scanCommand(f), runtimeCommand(f))
	return root
}
