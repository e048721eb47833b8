package auditor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

type seccompOptions struct {
	runtimeOptions
	traces   []string
	training string
	risky    bool
}

func runtimeSeccompCommand(f *cli.Frame) *cobra.Command {
	o := &seccompOptions{}
	cmd := &cobra.Command{
		Use:   "seccomp IMAGE",
		Short: "Write a seccomp profile of what a program calls",
		Long: `Write a seccomp profile for Docker, containerd and CRI-O on x86_64 and aarch64:
what the program and its health check called in training runs, and what runc
calls before it starts them. Everything else is refused with EPERM. The profile
works with no-new-privileges only, which every other hardstand runtime command
sets.

With --training DIR it writes a docker run command for a training run instead:
the program runs as it will, below a tracer, with its health check beside it.
Use all of it, then docker stop; the trace is in DIR, which the container's user
must be able to write to. What was not used in training is refused later, so
make several runs, and merge them by repeating --trace. The output of strace -f
and of strace -c and the kernel's audit lines (type=SECCOMP) are traces too.`,
		Example: `  mkdir -m 1777 traces
  hardstand runtime seccomp docker:app:1.4.2 --training traces | sh
  docker stop app
  hardstand runtime seccomp docker:app:1.4.2 --trace traces/app.trace -o seccomp.json
  hardstand runtime docker docker:app:1.4.2 --seccomp seccomp.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRuntimeSeccomp(cmd.Context(), f, o, args[0]) },
	}
	flags := cmd.Flags()
	o.source(flags)
	o.limits(flags)
	flags.StringVar(&o.Network, "network", "", "`network` of the training run")
	flags.IntVar(&o.Processes, "pids", 100, "most processes and threads of the training run")
	flags.StringArrayVar(&o.traces, "trace", nil, "`file` that a run left; may be repeated")
	flags.StringVar(&o.training, "training", "", "write a docker run command that leaves a trace in `directory`")
	flags.BoolVar(&o.risky, "allow-risky", false, "also allow calls that lead out of a container, such as mount and ptrace, if they were traced")
	return cmd
}

func runRuntimeSeccomp(ctx context.Context, f *cli.Frame, o *seccompOptions, arg string) error {
	if (o.training == "") == (len(o.traces) == 0) {
		return cli.Usagef("give either --training DIR or --trace FILE")
	}
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	if o.training != "" {
		data, err := o.trainingRun(img)
		return o.write(f, data, err)
	}
	var traces []runtime.Trace
	for _, file := range o.traces {
		data, err := readLimited(file, runtime.MaxTrace)
		if err != nil {
			return err
		}
		t, err := runtime.ParseTrace(data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(t.Unknown) > 0 {
			fmt.Fprintf(f.Stderr, "hardstand: %s: left out what is no system call: %s\n", file, strings.Join(t.Unknown, ", "))
		}
		traces = append(traces, t)
	}
	profile, err := runtime.Seccomp(traces, o.risky)
	if err != nil {
		return err
	}
	data, err := profile.JSON()
	return o.write(f, data, err)
}

// trainingRun mounts this very executable as the tracer: it is static.
func (o *seccompOptions) trainingRun(img runtime.Image) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the tracer: %w", err)
	}
	dir, err := filepath.Abs(o.training)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, cli.Usagef("--training %s: make the directory first, so that the container's user can write to it: mkdir -m 1777 %s", o.training, o.training)
	}
	return runtime.Training(img, o.Options, runtime.TrainingOptions{Tracer: self, Traces: dir})
}
