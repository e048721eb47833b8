package composer

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/internal/cli"
)

func cacheCommand(f *cli.Frame) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cache",
		Short:   "Trim the cache of downloads and layers",
		Example: "  hardstand cache prune --max-bytes 1000000000",
	}
	var maxBytes int64
	prune := &cobra.Command{
		Use:     "prune",
		Short:   "Remove what was used longest ago",
		Example: "  hardstand cache prune --max-bytes 0        # everything",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if maxBytes < 0 {
				return cli.Usagef("--max-bytes %d is negative", maxBytes)
			}
			c, err := openCache(f)
			if err != nil {
				return err
			}
			files, freed, err := c.Prune(maxBytes)
			if err != nil {
				return err
			}
			fmt.Fprintf(f.Stdout, "removed %d files, %s\n", files, cli.Size(freed))
			return nil
		},
	}
	prune.Flags().Int64Var(&maxBytes, "max-bytes", cache.DefaultMaxBytes, "`bytes` that may remain")
	cmd.AddCommand(prune)
	return cmd
}
