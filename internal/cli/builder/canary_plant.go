package builder

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/canary/decoy/lint"
	"github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/canary/token"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
)

type tokenOptions struct {
	key, endpoint, build, home string
	kinds                      []string
	owner, route               string
}

func canaryTokenCommand(f *cli.Frame) *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "token DIR",
		Short: "Write credential files that report their use, for images built elsewhere",
		Long: `Write credential files that nobody has a reason to use into a directory, to be
copied into an image that was built elsewhere. Each sends whoever uses it to
the endpoint: a collector's https URL, or a URL or DNS name from a service such
as canarytokens.org. Beside them, in DIR/.register, are the register, encrypted,
and ignore files for secret scanners: keep those out of the image.

Kinds: ` + strings.Join(token.Kinds(), ", ") + ".",
		Example: `  hardstand canary token decoys --endpoint https://alarms.example --build web-2026-11
  hardstand canary token decoys --endpoint https://alarms.example --build web --kind aws,kubeconfig --owner team-web`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runToken(f, o, args[0]) },
	}
	cmd.Flags().StringVar(&o.key, "key", "", "master secret `file` (default: canary.key in the configuration directory)")
	cmd.Flags().StringVar(&o.endpoint, "endpoint", "", "where a use is reported: `URL` or DNS name")
	cmd.Flags().StringVar(&o.build, "build", "", "`name` by which the collector knows these files")
	cmd.Flags().StringVar(&o.home, "home", "", "home `directory` in the image (default /home/nonroot)")
	cmd.Flags().StringSliceVar(&o.kinds, "kind", nil, "kinds to write (default: all)")
	cmd.Flags().StringVar(&o.owner, "owner", "", "who answers for the files, for the register")
	cmd.Flags().StringVar(&o.route, "route", "", "where alarms arrive, for the register")
	return cmd
}

func runToken(f *cli.Frame, o tokenOptions, dir string) error {
	if o.endpoint == "" || o.build == "" {
		return cli.Usagef("token needs --endpoint and --build")
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("write tokens: %s is not empty", dir)
	}
	c := composer.Options{CanaryKey: o.key}
	master, err := c.CanaryMaster(f)
	if err != nil {
		return err
	}
	r, err := token.Make(token.Options{
		Master: master, BuildID: o.build, Endpoint: o.endpoint, Kinds: o.kinds, Home: o.home, Date: f.Now().AddDate(0, -2, 0),
		Owner: o.owner, Route: o.route,
	})
	if err != nil {
		return err
	}
	for _, file := range r.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Path))
		if err := writeFile(path, file.Content, file.Mode.Perm()); err != nil {
			return fmt.Errorf("write tokens: %w", err)
		}
		if err := os.Chtimes(path, file.ModTime, file.ModTime); err != nil {
			return fmt.Errorf("write tokens: %w", err)
		}
		fmt.Fprintln(f.Stdout, path)
	}
	beside := filepath.Join(dir, ".register")
	rec := register.Record{Build: o.build, Owner: o.owner, Route: o.route, Planted: f.Now().UTC(), Tokens: &r.Register}
	if err := composer.WriteRegister(filepath.Join(beside, o.build+register.Extension), master, rec); err != nil {
		return err
	}
	return composer.WriteIgnoreFiles(beside, r.Register)
}

func canaryLintCommand(f *cli.Frame) *cobra.Command {
	var file, key string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Find what your own manifests and scripts would trip",
		Long: `Find probes, hooks and scripts of a workload that would run a decoy: exec
probes, lifecycle hooks, Compose health checks, ECS task definitions, kubectl cp
and docker exec in scripts. Without a register, the built-in set of decoys
counts. The exit code is 3 when something is found.`,
		Example: `  hardstand canary lint deploy
  hardstand canary lint --register 9f3121f0c4de chart/templates`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runLint(f, file, key, asJSON, args) },
	}
	cmd.Flags().StringVar(&file, "register", "", "register of the image, a `file` or a build id")
	cmd.Flags().StringVar(&key, "key", "", "master secret `file` that the register is read with (default: canary.key in the configuration directory)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func runLint(f *cli.Frame, file, key string, asJSON bool, args []string) error {
	reg, err := lintRegister(f, file, key)
	if err != nil {
		return err
	}
	findings := []lint.Finding{}
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil || !info.Mode().IsRegular() || info.Size() > lint.MaxFile {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found, err := lint.Check(path, data, reg)
			findings = append(findings, found...)
			return err
		})
		if err != nil {
			return err
		}
	}
	if asJSON {
		if err := f.PrintJSON(findings); err != nil {
			return err
		}
	} else {
		for _, one := range findings {
			fmt.Fprintln(f.Stdout, one)
		}
	}
	if len(findings) > 0 {
		return &cli.RefusedError{Err: fmt.Errorf("%d commands would trip a decoy", len(findings))}
	}
	return nil
}

// lintRegister reads the register that build wrote, or stands in with the
// built-in set.
func lintRegister(f *cli.Frame, file, key string) (decoy.Register, error) {
	if file == "" {
		var r decoy.Register
		for _, d := range decoy.Default() {
			r.Decoys = append(r.Decoys, decoy.Registered{Name: d.Name, Path: "/usr/bin/" + d.Name})
		}
		return r, nil
	}
	dir, master, err := (&registerOptions{key: key}).open(f)
	if err != nil {
		return decoy.Register{}, err
	}
	if file, err = findRegister(dir, file, master); err != nil {
		return decoy.Register{}, err
	}
	r, err := composer.ReadRegister(file, master)
	if err != nil {
		return decoy.Register{}, err
	}
	if r.Decoys == nil {
		return decoy.Register{}, fmt.Errorf("read register %s: it names no decoys", file)
	}
	return *r.Decoys, nil
}
