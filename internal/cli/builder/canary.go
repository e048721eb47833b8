package builder

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/internal/cli"
)

func canaryCommand(f *cli.Frame) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Keys, registers and alarms of decoys",
		Example: `  hardstand canary keygen
  docker logs app 2>&1 | hardstand canary read`,
	}
	cmd.AddCommand(canaryKeygenCommand(f), canaryReadCommand(f), canaryRegisterCommand(f), canaryTokenCommand(f), canaryLintCommand(f), collectorCommand(f), canaryTestCommand(f), canaryAdminTokenCommand(f))
	return cmd
}

func canaryKeygenCommand(f *cli.Frame) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make the master secret that decoys' keys are derived from",
		Long: `Make the master secret that decoys' keys are derived from, in a new file that
only its owner can read. Images built with the same secret can be verified with
it; without it their alarms cannot be told from forgeries.`,
		Example: `  hardstand canary keygen
  hardstand canary keygen --file team.canary.key`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				dir, err := f.ConfigDir()
				if err != nil {
					return err
				}
				file = filepath.Join(dir, "canary.key")
			}
			if err := writeMaster(file); err != nil {
				return fmt.Errorf("write canary master secret: %w", err)
			}
			fmt.Fprintln(f.Stdout, file)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "`file` to write (default: canary.key in the configuration directory)")
	return cmd
}

type canaryReadOptions struct {
	keys []string
	json bool
}

func canaryReadCommand(f *cli.Frame) *cobra.Command {
	var o canaryReadOptions
	cmd := &cobra.Command{
		Use:   "read [LOG]",
		Short: "Find the alarms in a container's log and check that they are genuine",
		Long: `Find the alarms in a container's log, from a file or from standard input, and
check each with the master secret. The two alarms of one execution, of tier A and
tier B, are one row. The exit code is 3 when a line is forged.`,
		Example: `  docker logs app 2>&1 | hardstand canary read
  kubectl logs app | hardstand canary read --key team.canary.key --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			in := f.Stdin
			if len(args) == 1 && args[0] != "-" {
				log, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer log.Close() //nolint:errcheck // opened for reading
				in = log
			}
			return runCanaryRead(f, o, in)
		},
	}
	cmd.Flags().StringSliceVar(&o.keys, "key", nil, "master secret `files` (default: canary.key in the configuration directory)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print a JSON object a line")
	return cmd
}

func runCanaryRead(f *cli.Frame, o canaryReadOptions, in io.Reader) error {
	if len(o.keys) == 0 {
		dir, err := f.ConfigDir()
		if err != nil {
			return err
		}
		o.keys = []string{filepath.Join(dir, "canary.key")}
	}
	var masters []alert.Master
	for _, file := range o.keys {
		m, err := readMaster(file)
		if err != nil {
			return err
		}
		masters = append(masters, m)
	}
	forged := 0
	err := pair(alert.NewReader(in, masters...).Next, func(t trip) error {
		if t.Verdict == alert.Forged {
			forged++
		}
		return printAlarm(f, o.json, t)
	})
	if err != nil {
		return err
	}
	if forged > 0 {
		return &cli.RefusedError{Err: fmt.Errorf("%d forged or damaged alarms in the log", forged)}
	}
	return nil
}

func printAlarm(f *cli.Frame, asJSON bool, a trip) error {
	if asJSON {
		line := struct {
			Line    int           `json:"line"`
			Verdict alert.Verdict `json:"verdict"`
			Event   *alert.Event  `json:"event,omitempty"`
			First   *alert.Event  `json:"first,omitempty"` // of the same execution, without the details
			Error   string        `json:"error,omitempty"`
		}{Line: a.Line, Verdict: a.Verdict}
		if a.First != nil {
			line.First = &a.First.Event
		}
		if a.Err != nil {
			line.Error = a.Err.Error()
		} else {
			line.Event = &a.Event
		}
		return f.PrintJSON(line)
	}
	if a.Verdict == alert.Forged {
		_, err := fmt.Fprintf(f.Stdout, "line %d: FORGED: %v\n", a.Line, a.Err)
		return err
	}
	e := a.Event
	_, err := fmt.Fprintf(f.Stdout, "%s  %s  %s  build %s\n", e.At().UTC().Format(time.RFC3339), a.Verdict, happened(e), e.Build)
	if err == nil && len(e.Ancestors) > 0 {
		var names []string
		for _, p := range e.Ancestors {
			names = append(names, fmt.Sprintf("%s(%d)", p.Comm, p.PID))
		}
		_, err = fmt.Fprintf(f.Stdout, "    called by %s\n", strings.Join(names, " <- "))
	}
	for _, p := range e.Peers {
		_, err = fmt.Fprintf(f.Stdout, "    descriptor %d is connected to %s\n", p.FD, p.Remote)
	}
	return err
}

// happened says in a few words what an alarm is about.
func happened(e alert.Event) string {
	switch e.Kind {
	case "":
		origin := e.Origin
		if origin == "" {
			origin = "unknown"
		}
		return fmt.Sprintf("decoy %s  argv %q  uid %d  from %s", e.Decoy, e.Argv, e.UID, origin)
	case alert.KindExec:
		return fmt.Sprintf("executed %s  argv %q", e.Path, e.Argv)
	case alert.KindDenied:
		return fmt.Sprintf("refused %s  argv %q", e.Path, e.Argv)
	case alert.KindRead:
		return "opened " + e.Path
	case alert.KindPipe:
		return fmt.Sprintf("read %s  pid %d", e.Path, e.PID)
	case alert.KindPeers:
		return "connections of the application when decoy " + e.Decoy + " tripped"
	}
	return e.Kind + "  decoy " + e.Decoy
}
