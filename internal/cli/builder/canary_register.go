package builder

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
)

type registerOptions struct {
	dir, key     string
	json         bool
	ignoreFiles  string
	owner, route string
	drilled      bool
}

func canaryRegisterCommand(f *cli.Frame) *cobra.Command {
	var o registerOptions
	cmd := &cobra.Command{
		Use:   "register",
		Short: "List what was planted in images built here",
		Long: `List the registers of images built here: which decoys and credential files stand
in which image, who answers for it, and when a drill was last held. A register
is a file that is encrypted with the canary master secret; a collector that has
the secret can load it.`,
		Example: `  hardstand canary register
  hardstand canary register show 9f3121f0c4de
  hardstand canary register note 9f3121f0c4de --owner team-web --drilled`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runRegisterList(f, o) },
	}
	cmd.PersistentFlags().StringVar(&o.dir, "dir", "", "`directory` of the registers (default: registers in the state directory)")
	cmd.PersistentFlags().StringVar(&o.key, "key", "", "master secret `file` (default: canary.key in the configuration directory)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON, one object a register")
	show := &cobra.Command{
		Use:   "show FILE|BUILD",
		Short: "Decrypt a register",
		Long: `Decrypt a register, named by its file or the beginning of its build id, and print
it as JSON. With --ignore-files, write configuration for gitleaks, Trivy and
TruffleHog that keeps them from reporting the credential files.`,
		Example: `  hardstand canary register show 9f3121f0c4de
  hardstand canary register show web.register --ignore-files scanners`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runRegisterShow(f, o, args[0]) },
	}
	show.Flags().StringVar(&o.ignoreFiles, "ignore-files", "", "`directory` to write the scanners' configuration to")
	note := &cobra.Command{
		Use:     "note FILE|BUILD",
		Short:   "Note an owner, an alarm route or a drill in a register",
		Example: "  hardstand canary register note 9f3121f0c4de --owner team-web --route '#alarms' --drilled",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return runRegisterNote(f, o, args[0]) },
	}
	note.Flags().StringVar(&o.owner, "owner", "", "who answers for what is planted")
	note.Flags().StringVar(&o.route, "route", "", "where alarms arrive")
	note.Flags().BoolVar(&o.drilled, "drilled", false, "a drill was held now")
	cmd.AddCommand(show, note)
	return cmd
}

func (o *registerOptions) open(f *cli.Frame) (dir string, master alert.Master, err error) {
	if dir = o.dir; dir == "" {
		if dir, err = composer.RegisterDir(f); err != nil {
			return "", alert.Master{}, err
		}
	}
	key := o.key
	if key == "" {
		config, err := f.ConfigDir()
		if err != nil {
			return "", alert.Master{}, err
		}
		key = filepath.Join(config, "canary.key")
	}
	master, err = readMaster(key)
	return dir, master, err
}

func runRegisterList(f *cli.Frame, o registerOptions) error {
	dir, master, err := o.open(f)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+register.Extension))
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(f.Stdout, 0, 0, 2, ' ', 0)
	for i, file := range files {
		r, err := composer.ReadRegister(file, master)
		if err != nil {
			f.Note("%v", err)
			continue
		}
		if o.json {
			if err := f.PrintJSON(r); err != nil {
				return err
			}
			continue
		}
		if i == 0 {
			fmt.Fprintln(table, "BUILD\tIMAGE\tPLATFORM\tDECOYS\tTOKENS\tOWNER\tLAST DRILL")
		}
		fmt.Fprintln(table, row(r))
	}
	return table.Flush()
}

func row(r register.Record) string {
	decoys, tokens, drill := 0, 0, "never"
	if r.Decoys != nil {
		decoys = len(r.Decoys.Decoys)
	}
	if r.Tokens != nil {
		tokens = len(r.Tokens.Tokens)
	}
	if !r.LastDrill.IsZero() {
		drill = r.LastDrill.Format(time.DateOnly)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%s\t%s", r.Build, r.Image, r.Platform, decoys, tokens, r.Owner, drill)
}

// findRegister returns the file that an argument names. Of several with the
// same build it is the one that the key opens.
func findRegister(dir, arg string, master alert.Master) (string, error) {
	if strings.HasSuffix(arg, register.Extension) {
		return arg, nil
	}
	if alert.CheckName(arg) != nil {
		return "", cli.Usagef("%q is neither a *%s file nor a build id", arg, register.Extension)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+register.Extension))
	if err != nil {
		return "", err
	}
	var found []string
	for _, file := range files {
		if strings.Contains(filepath.Base(file), "-"+arg) {
			found = append(found, file)
		}
	}
	if len(found) > 1 {
		found = slices.DeleteFunc(found, func(file string) bool {
			_, err := composer.ReadRegister(file, master)
			return errors.Is(err, register.ErrKey)
		})
	}
	if len(found) != 1 {
		return "", fmt.Errorf("find register: %d in %s have a build id that begins with %s", len(found), dir, arg)
	}
	return found[0], nil
}

func runRegisterShow(f *cli.Frame, o registerOptions, arg string) error {
	dir, master, err := o.open(f)
	if err != nil {
		return err
	}
	file, err := findRegister(dir, arg, master)
	if err != nil {
		return err
	}
	r, err := composer.ReadRegister(file, master)
	if err != nil {
		return err
	}
	if o.ignoreFiles != "" {
		if r.Tokens == nil {
			return fmt.Errorf("write ignore files: %s has no credential files", file)
		}
		if err := composer.WriteIgnoreFiles(o.ignoreFiles, *r.Tokens); err != nil {
			return err
		}
	}
	return f.PrintJSON(r)
}

func runRegisterNote(f *cli.Frame, o registerOptions, arg string) error {
	if o.owner == "" && o.route == "" && !o.drilled {
		return cli.Usagef("note needs --owner, --route or --drilled")
	}
	dir, master, err := o.open(f)
	if err != nil {
		return err
	}
	file, err := findRegister(dir, arg, master)
	if err != nil {
		return err
	}
	r, err := composer.ReadRegister(file, master)
	if err != nil {
		return err
	}
	if o.owner != "" {
		r.Owner = o.owner
	}
	if o.route != "" {
		r.Route = o.route
	}
	if o.drilled {
		r.LastDrill = f.Now().UTC()
	}
	return composer.WriteRegister(file, master, r)
}
