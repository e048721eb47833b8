package auditor

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

func runtimeComposeCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "compose IMAGE",
		Short: "Write a hardened Compose file",
		Long: `Write a Compose file of one service. Ports are published on the loopback address
only.`,
		Example: `  hardstand runtime compose registry.example/app:1.4.2 -o compose.yaml
  hardstand runtime compose oci:app --image registry.example/app:1.4.2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRuntimeCompose(cmd.Context(), f, o, args[0]) },
	}
	flags := cmd.Flags()
	o.source(flags)
	o.limits(flags)
	flags.IntVar(&o.Processes, "pids", 100, "most processes and threads")
	flags.StringVar(&o.Network, "network", "", "network mode: none, or that of another service")
	flags.StringVar(&o.Seccomp, "seccomp", "", "`file` with a seccomp profile (default: that of Docker)")
	return cmd
}

func runRuntimeCompose(ctx context.Context, f *cli.Frame, o *runtimeOptions, arg string) error {
	img, err := o.inspect(ctx, f, arg)
	if err != nil {
		return err
	}
	data, err := runtime.Compose(img, o.Options)
	return o.write(f, data, err)
}
