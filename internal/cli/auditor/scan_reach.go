package auditor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/reach"
	"github.com/hardstand/hardstand/internal/cli"
)

// programs keeps the Go programs of a target for their analysis.
type programs struct {
	options *scanOptions
	dir     string            // temporary; empty where nothing is analysed
	files   map[string]string // path in the target to copy
}

func newPrograms(o *scanOptions) (*programs, error) {
	p := &programs{options: o, files: map[string]string{}}
	if !o.reach {
		return p, nil
	}
	dir, err := os.MkdirTemp("", "hardstand-scan-")
	if err != nil {
		return nil, fmt.Errorf("analyse programs: %w", err)
	}
	p.dir = dir
	return p, nil
}

func (p *programs) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // it is in the system's temporary directory
	}
}

// keep takes a copy of a program.
func (p *programs) keep(path string, data []byte) error {
	if p.dir == "" {
		return nil
	}
	file := filepath.Join(p.dir, fmt.Sprintf("%d", len(p.files)))
	p.files[path] = file
	return os.WriteFile(file, data, 0o600)
}

// analyse adds to the findings what the programs' code says.
func (p *programs) analyse(ctx context.Context, f *cli.Frame, in *scan.Input, entries []*osv.Entry) error {
	verdicts := map[string]map[string]scan.Reach{}
	full, err := p.unstripped()
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, prog := range in.Inventory.Programs {
		file := p.files[prog.Path]
		if prog.Stripped {
			file = ""
			for _, candidate := range full {
				if reach.Same(prog, candidate) == nil {
					file = candidate.Path
					used[file] = true
				}
			}
		}
		if file == "" {
			in.Notes = append(in.Notes, fmt.Sprintf("%s has no symbol table, so its code was not analysed: give the same program with --unstripped", prog.Path))
			continue
		}
		if verdicts[prog.Path], err = p.options.analyser.Binary(ctx, file, entries, []string{}); err != nil {
			return err
		}
	}
	for _, candidate := range full {
		if !used[candidate.Path] {
			return fmt.Errorf("--unstripped %s fits no stripped program of the target: %w", candidate.Path, misfit(in.Inventory, candidate))
		}
	}
	if p.options.source != "" {
		if err := p.source(ctx, f, in, entries, verdicts); err != nil {
			return err
		}
	}
	scan.ApplyReach(in.Findings, verdicts)
	return nil
}

func (p *programs) unstripped() ([]inventory.Program, error) {
	var list []inventory.Program
	for _, file := range p.options.unstripped {
		inv, err := inventory.FromProgram(file, inventory.Options{})
		if err != nil {
			return nil, err
		}
		prog := inv.Programs[0]
		prog.Path = file
		list = append(list, prog)
	}
	return list, nil
}

// misfit says why a program is none of the target's.
func misfit(inv *inventory.Inventory, candidate inventory.Program) error {
	for _, prog := range inv.Programs {
		if prog.Main == candidate.Main {
			if err := reach.Same(prog, candidate); err != nil {
				return err
			}
		}
	}
	return errors.New("none has its main package, or none is stripped")
}

// source analyses the source tree, and applies that to go.mod files in it and
// to programs whose main package is in its module. Calls count less than
// symbols: what is in a program although nobody calls it is not exploitable.
func (p *programs) source(ctx context.Context, f *cli.Frame, in *scan.Input, entries []*osv.Entry, verdicts map[string]map[string]scan.Reach) error {
	mod, err := inventory.FromModule(filepath.Join(p.options.source, "go.mod"))
	if err != nil {
		return err
	}
	said, err := p.options.analyser.Source(ctx, p.options.source, entries, goEnvironment(f))
	if err != nil {
		return err
	}
	applied := false
	for _, pkg := range in.Inventory.Packages {
		if filepath.Base(pkg.Path) == "go.mod" {
			verdicts[pkg.Path], applied = said, true
		}
	}
	for _, prog := range in.Inventory.Programs {
		if prog.Main == mod.Module || strings.HasPrefix(prog.Main, mod.Module+"/") {
			verdicts[prog.Path], applied = said, true
		}
	}
	if !applied {
		return fmt.Errorf("--source %s is the module %s, and no program of the target is built from it", p.options.source, mod.Module)
	}
	return nil
}

// goEnvironment is what the go command needs and nothing else: no secret of the
// caller's reaches the tools that a source tree may start.
func goEnvironment(f *cli.Frame) []string {
	env := []string{"GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly"}
	for _, name := range []string{"PATH", "HOME", "GOPATH", "GOMODCACHE", "GOCACHE", "GOROOT", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "TMPDIR"} {
		if v := f.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}
