package composer

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build/compare"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/internal/cli"
)

type diffOptions struct {
	Options
	json bool
	stat bool
}

func diffCommand(f *cli.Frame) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what differs between two images: packages, files, configuration, size",
		Long: `Show what differs between two images, platform by platform: packages by version,
files by type, mode, owner and content, the configuration, and the size. Each
image is an OCI layout, of any origin, or a definition, which is composed for
the purpose. Compression, layers and times of files do not count.

The exit code is 3 when they differ.`,
		Example: `  hardstand diff oci:old oci:new
  hardstand diff static base --stat
  hardstand diff oci:released ./mine.yaml --json`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return builtin(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runDiff(cmd.Context(), f, o, args[0], args[1]) },
	}
	o.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&o.stat, "stat", false, "count the files that differ rather than list them")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the differences as JSON")
	return cmd
}

func runDiff(ctx context.Context, f *cli.Frame, o diffOptions, first, second string) error {
	before, err := o.index(ctx, f, first)
	if err != nil {
		return err
	}
	after, err := o.index(ctx, f, second)
	if err != nil {
		return err
	}
	list, err := compare.Indexes(before, after)
	if err != nil {
		return err
	}
	differ := false
	for _, p := range list {
		differ = differ || !p.Same()
	}
	if o.json {
		err = f.PrintJSON(list)
	} else {
		o.print(f, list)
	}
	if err == nil && differ {
		err = &cli.RefusedError{Err: fmt.Errorf("%s and %s differ", first, second)}
	}
	return err
}

// index opens a layout or composes a definition.
func (o *diffOptions) index(ctx context.Context, f *cli.Frame, arg string) (v1.ImageIndex, error) {
	if dir, ok := strings.CutPrefix(arg, "oci:"); ok {
		return oci.ReadLayout(dir)
	}
	s, err := LoadSource(arg)
	if err != nil {
		return nil, err
	}
	r, err := o.Compose(ctx, f, s, oci.OCI, nil)
	if err != nil {
		return nil, err
	}
	return r.Index, nil
}

func (o *diffOptions) print(f *cli.Frame, list []compare.Platform) {
	for _, p := range list {
		fmt.Fprintf(f.Stdout, "%s  %s -> %s\n", p.Platform, cli.Size(p.OldSize), cli.Size(p.NewSize))
		printChanges(f, "package", p.Packages)
		printChanges(f, "config", p.Config)
		if o.stat && len(p.Files) > 0 {
			fmt.Fprintf(f.Stdout, "  %d files differ\n", len(p.Files))
			continue
		}
		printChanges(f, "file", p.Files)
	}
}

func printChanges(f *cli.Frame, what string, list []compare.Change) {
	for _, c := range list {
		c.Old, c.New = printable(c.Old), printable(c.New)
		switch {
		case c.Old == "":
			fmt.Fprintf(f.Stdout, "  + %s %q %s\n", what, c.Name, c.New)
		case c.New == "":
			fmt.Fprintf(f.Stdout, "  - %s %q %s\n", what, c.Name, c.Old)
		default:
			fmt.Fprintf(f.Stdout, "  ~ %s %q %s -> %s\n", what, c.Name, c.Old, c.New)
		}
	}
}

// printable keeps what a foreign image says from driving the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
