package auditor

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

func runtimeDockerCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "docker IMAGE",
		Short: "Write a hardened docker run command",
		Long: `Write a docker run command for a POSIX shell. Ports are published on the
loopback address only. docker run cannot set a health check without a shell, so
the image's own is used.`,
		Example: `  hardstand runtime docker docker:app:1.4.2 > run.sh
  hardstand runtime docker registry.example/app:1.4.2 --memory 256Mi --seccomp seccomp.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRuntimeDocker(cmd.Context(), f, o, args[0]) },
	}
	flags := cmd.Flags()
	o.source(flags)
	o.limits(flags)
	flags.IntVar(&o.Processes, "pids", 100, "most processes and threads")
	flags.StringVar(&o.Network, "network", "", "`network` to join; with none no port is published")
	flags.StringVar(&o.Seccomp, "seccomp", "", "`file` with a seccomp profile (default: that of Docker)")
	return cmd
}

func runRuntimeDocker(ctx context.Context, f *cli.Frame, o *runtimeOptions, arg string) error {
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	data, err := runtime.Docker(img, o.Options)
	return o.write(f, data, err)
}
