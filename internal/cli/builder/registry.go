package builder

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign/registry"
)

func registryCommand(f *cli.Frame) *cobra.Command {
	var listen string
	var o registry.ServeOptions
	var log bool
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Serve a registry on this machine, for trying things out",
		Long: `Serve an OCI registry on a loopback address until interrupted. Its contents are
in memory and end with it; it authenticates nobody and is no registry for
production.`,
		Example: `  hardstand registry --listen 127.0.0.1:5000
  hardstand registry --listen 127.0.0.1:5000 --immutable`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if log {
				o.Log = f.Stderr
			}
			return runRegistry(cmd.Context(), f, listen, o)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:5000", "loopback `address` to listen on; port 0 takes a free one")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "keep blobs in this `directory` instead of in memory")
	cmd.Flags().BoolVar(&o.Immutable, "immutable", false, "refuse to overwrite tags")
	cmd.Flags().BoolVar(&log, "log", false, "write a line a request to stderr")
	return cmd
}

func runRegistry(ctx context.Context, f *cli.Frame, listen string, o registry.ServeOptions) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return cli.Usagef("--listen %q: want HOST:PORT", listen)
	}
	if !registry.IsLoopback(host) {
		return cli.Usagef("--listen %s: only loopback addresses are served, because nobody is authenticated", listen)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(f.Stdout, "registry on %s\n", l.Addr())
	return registry.Serve(ctx, l, o)
}
