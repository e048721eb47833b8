package collector

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/collector/web"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

func adminTokenCommand(f *cli.Frame) *cobra.Command {
	return &cobra.Command{
		Use:   "admin-token FILE",
		Short: "Make a token for signing in to the dashboard",
		Long: `Write a new token to a file that only its owner can read, and print its hash for
the collector's configuration, which does not hold the token itself.`,
		Example: "  hardstand canary admin-token admin.token",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return runAdminToken(f, args[0]) },
	}
}

func runAdminToken(f *cli.Frame, file string) error {
	token, hash := web.NewToken()
	if err := atomicfile.Create(file, []byte(token+"\n"), 0o600); err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	fmt.Fprintln(f.Stderr, "token written to", file)
	fmt.Fprintln(f.Stdout, "admin-token-hash:", hash)
	return nil
}
