// Package auditor holds the commands of bin/hardstand-audit: what judges,
// scans and configures, one file a command. hardstand hands over to it, so
// its root is called hardstand too.
package auditor

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/workload/compose"
	"github.com/hardstand/hardstand/internal/cli"
)

// New returns the command tree. read reads Compose files.
func New(f *cli.Frame, read compose.Reader) *cobra.Command {
	root := &cobra.Command{
		Use:   "hardstand",
		Short: "The container hardening guide as checks with evidence",
		Example: `  hardstand audit Dockerfile
  hardstand audit .`,
		Version: f.Version,
	}
	root.AddCommand(auditCommand(f, read), scanCommand(f), runtimeCommand(f))
	return root
}

// AskCompose returns a reader that asks the executable beside this one.
func AskCompose(f *cli.Frame) compose.Reader {
	return compose.Asking(func(ctx context.Context, request []byte) ([]byte, error) {
		out, code, err := cli.AskWith(ctx, f, cli.ComposeExecutable, request)
		if err == nil && code != cli.ExitDone {
			err = fmt.Errorf("run %s: it ended with %d", cli.ComposeExecutable, code)
		}
		return out, err
	})
}
