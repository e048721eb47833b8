package auditor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/report"
	"github.com/hardstand/hardstand/audit/settings"
	"github.com/hardstand/hardstand/internal/cli"
)

// write prints the report and writes the files asked for.
func (o *auditOptions) write(f *cli.Frame, r audit.Report) error {
	opts := report.Options{All: o.all, Color: f.StdoutIsTTY && f.Getenv("NO_COLOR") == "" && f.Getenv("TERM") != "dumb"}
	if err := report.Write(f.Stdout, o.format, r, opts); err != nil {
		return err
	}
	for _, arg := range o.reports {
		format, file, _ := strings.Cut(arg, ":")
		var b bytes.Buffer
		if err := report.Write(&b, format, r, report.Options{All: o.all}); err != nil {
			return err
		}
		if err := writeWhole(file, b.Bytes()); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if o.writeBaseline != "" {
		data, err := json.MarshalIndent(settings.NewBaseline(r), "", "  ")
		if err != nil {
			return fmt.Errorf("write baseline: %w", err)
		}
		if err := writeWhole(o.writeBaseline, append(data, '\n')); err != nil {
			return fmt.Errorf("write baseline: %w", err)
		}
	}
	return nil
}

// writeWhole replaces a file at once, so that nobody reads half of it.
func writeWhole(file string, data []byte) error { return writeAs(file, data, nil) }

// writeAs is writeWhole for a file that replaces another: where info of that is
// given, mode and owner stay.
func writeAs(file string, data []byte, info fs.FileInfo) error {
	if there, err := os.Stat(file); err == nil && !there.Mode().IsRegular() {
		return os.WriteFile(file, data, 0o644)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".hardstand-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	mode := fs.FileMode(0o644)
	if info != nil {
		mode = info.Mode().Perm()
		keepOwner(tmp, info)
	}
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// applyBaseline accepts what the baseline lists.
func (o *auditOptions) applyBaseline(v *verdicts) error {
	if o.baseline == "" {
		return nil
	}
	data, err := readLimited(o.baseline, settings.MaxBaseline)
	if err != nil {
		return fmt.Errorf("read baseline: %w", err)
	}
	b, err := settings.ParseBaseline(o.baseline, data)
	if err != nil {
		return err
	}
	if gone := b.Apply(o.baseline, v.findings); gone > 0 {
		v.notes = append(v.notes, fmt.Sprintf("%s: %d findings of the baseline are gone; write it again to keep them out", o.baseline, gone))
	}
	return nil
}

// settingsFiles are looked for beside the target and in the working directory,
// in the order of who wins.
var settingsFiles = []struct {
	name string
	read func(string, []byte) (settings.Settings, error)
}{
	{".hardstand.yaml", settings.Parse},
	{".hardstand.yml", settings.Parse},
	{".hadolint.yaml", settings.Hadolint},
	{".hadolint.yml", settings.Hadolint},
	{".trivyignore", settings.IgnoreList},
	{".dockleignore", settings.IgnoreList},
}

// readSettings collects what flags, files and environment decide.
func (o *auditOptions) readSettings(f *cli.Frame, args []string) error {
	o.settings = settings.Settings{Trusted: o.trusted, Target: o.target}
	if len(o.ignore) > 0 {
		o.settings.Ignore = []settings.Ignore{{IDs: o.ignore, Reason: "left out on the command line", Source: "--ignore"}}
	}
	if o.config != "" {
		data, err := readLimited(o.config, settings.MaxSize)
		if err != nil {
			return fmt.Errorf("read settings: %w", err)
		}
		read := settings.Parse
		for _, s := range settingsFiles {
			if strings.HasSuffix(filepath.Base(o.config), strings.TrimPrefix(s.name, ".")) {
				read = s.read
				break
			}
		}
		s, err := read(o.config, data)
		if err != nil {
			return err
		}
		o.settings.Merge(s)
		return nil
	}
	if o.noConfig {
		return nil
	}
	if err := o.findSettings(args); err != nil {
		return err
	}
	o.settings.Merge(settings.Environment(f.Getenv))
	return nil
}

func (o *auditOptions) findSettings(args []string) error {
	dirs, seen := []string{"."}, map[string]bool{}
	for _, arg := range args {
		if info, err := os.Stat(arg); err == nil {
			if !info.IsDir() {
				arg = filepath.Dir(arg)
			}
			dirs = append(dirs, filepath.Clean(arg))
		}
	}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		for _, s := range settingsFiles {
			file := filepath.Join(dir, s.name)
			if _, err := os.Stat(file); err != nil {
				continue
			}
			data, err := readLimited(file, settings.MaxSize)
			if err != nil {
				return fmt.Errorf("read settings: %w", err)
			}
			got, err := s.read(file, data)
			if err != nil {
				return err
			}
			o.settings.Merge(got)
		}
	}
	return nil
}
