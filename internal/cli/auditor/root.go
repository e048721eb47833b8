// Package auditor holds the commands of bin/hardstand-audit: what judges,
// scans and configures, one file a command. hardstand hands over to it, so
// its root is called hardstand too.
package auditor

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/scan/reach"
	"github.com/hardstand/hardstand/audit/workload/compose"
	"github.com/hardstand/hardstand/internal/cli"
)

// Companions do what would weigh on every other command: in this process, or
// in an executable beside this one, as Beside has it.
type Companions struct {
	Compose compose.Reader // reads Compose files
	Reach   reach.Analyser // looks for vulnerable Go code
	Close   func()         // ends what runs; nil where nothing does
}

// New returns the command tree.
func New(f *cli.Frame, c Companions) *cobra.Command {
	root := &cobra.Command{
		Use:   "hardstand",
		Short: "The container hardening guide as checks with evidence",
		Example: `  hardstand audit Dockerfile
  hardstand audit .`,
		Version: f.Version,
	}
	root.AddCommand(auditCommand(f, c), scanCommand(f, c), runtimeCommand(f))
	return root
}

// How long a companion may take: a Compose file takes milliseconds, a large
// program seconds, a source tree is compiled first.
const (
	composeTime = 30 * time.Second
	reachTime   = 20 * time.Minute
)

// Beside asks the executables beside this one, and looks for them nowhere else.
// The one for Compose files stays for the next file.
func Beside(f *cli.Frame) Companions {
	composer := &cli.Companion{Executable: cli.ComposeExecutable, Env: []string{}, Within: composeTime, Stderr: f.Stderr}
	return Companions{
		Compose: compose.Asking(composer.Ask),
		Reach: reach.Asking(func(ctx context.Context, request []byte, env []string) ([]byte, error) {
			out, code, err := cli.AskQuestion(ctx, f, cli.Question{Executable: cli.ReachExecutable, Input: request, Env: env, MaxAnswer: reach.MaxAnswer, Within: reachTime})
			if err == nil && code != cli.ExitDone {
				err = fmt.Errorf("run %s: it ended with %d", cli.ReachExecutable, code)
			}
			return out, err
		}),
		Close: composer.Close,
	}
}
