// Package reach finds out whether the vulnerable code of a Go module is in a
// program at all, or is called from a source tree, by govulncheck's analysis,
// which package govulncheck does, here or in another executable. It only ever takes findings away that the analysis was able to see: for a
// stripped program, or an advisory that lists no code, it says nothing.
//
// The analysis of a source runs the go command in that tree. Analyse only
// trees that you would build.
package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/osv"
)

// MaxAnswer bounds what the analysis may print, in bytes.
const MaxAnswer = 256 << 20

// Request asks about a program or a source tree. Paths are absolute.
type Request struct {
	Database string `json:"database"` // directory of advisories, one file each
	Program  string `json:"program,omitempty"`
	Source   string `json:"source,omitempty"`
}

// Check reports what a request lacks.
func (r Request) Check() error {
	for _, path := range []string{r.Database, r.Program + r.Source} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is no absolute path", path)
		}
	}
	if (r.Program == "") == (r.Source == "") {
		return errors.New("it names not one of program and source")
	}
	return nil
}

// Analyser answers a request with govulncheck's stream of JSON. env is the
// whole environment of the tools it runs.
type Analyser func(ctx context.Context, r Request, env []string) ([]byte, error)

// Asking returns an analyser that asks what govulncheck.Serve answers.
func Asking(ask func(ctx context.Context, request []byte, env []string) ([]byte, error)) Analyser {
	return func(ctx context.Context, r Request, env []string) ([]byte, error) {
		request, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		return ask(ctx, request, env)
	}
}

// Verdicts say by advisory what was found of it. Advisories that the analysis
// says nothing about are not in it.
type Verdicts map[string]scan.Reach

// Binary analyses a program that has its symbol table.
func (a Analyser) Binary(ctx context.Context, file string, entries []*osv.Entry, env []string) (Verdicts, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("analyse %s: %w", file, err)
	}
	v, err := a.analyse(ctx, entries, env, vex.VulnerableCodeNotPresent, "is not in the program", Request{Program: abs})
	if err != nil {
		return nil, fmt.Errorf("analyse %s: %w", file, err)
	}
	return v, nil
}

// Source analyses all packages of a module. It needs the go command in env's
// PATH, and the module's requirements where go finds them.
func (a Analyser) Source(ctx context.Context, dir string, entries []*osv.Entry, env []string) (Verdicts, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("analyse the source in %s: %w", dir, err)
	}
	v, err := a.analyse(ctx, entries, env, vex.VulnerableCodeNotInExecutePath, "is not called", Request{Source: abs})
	if err != nil {
		return nil, fmt.Errorf("analyse the source in %s: %w", dir, err)
	}
	return v, nil
}

func (a Analyser) analyse(ctx context.Context, entries []*osv.Entry, env []string, absent vex.Justification, words string, r Request) (Verdicts, error) {
	listed := map[string]bool{}
	dir, err := os.MkdirTemp("", "hardstand-reach-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the system's temporary directory
	for _, e := range entries {
		ok, err := code(e)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		listed[e.ID] = true
		if err := os.WriteFile(filepath.Join(dir, e.ID+".json"), e.Raw, 0o600); err != nil {
			return nil, err
		}
	}
	if len(listed) == 0 {
		return Verdicts{}, nil
	}
	r.Database = dir
	out, err := a(ctx, r, env)
	if err != nil {
		return nil, err
	}
	return read(bytes.NewReader(out), listed, absent, words)
}

// code reports whether an advisory of the Go database lists the code that is
// vulnerable, in all its parts. Its identifier becomes a file name.
func code(e *osv.Entry) (bool, error) {
	if !strings.HasPrefix(e.ID, "GO-") || strings.Trim(e.ID, "GO-0123456789") != "" {
		return false, nil
	}
	var doc struct {
		Affected []struct {
			Specific struct {
				Imports []struct {
					Path string `json:"path"`
				} `json:"imports"`
			} `json:"ecosystem_specific"`
		} `json:"affected"`
	}
	if err := json.Unmarshal(e.Raw, &doc); err != nil {
		return false, fmt.Errorf("read %s: %w", e.ID, err)
	}
	for _, a := range doc.Affected {
		if len(a.Specific.Imports) == 0 {
			return false, nil
		}
	}
	return len(doc.Affected) > 0, nil
}

// message is what is read of govulncheck's output.
type message struct {
	Finding *struct {
		OSV   string  `json:"osv"`
		Trace []frame `json:"trace"`
	} `json:"finding"`
}

type frame struct {
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
}

func (f frame) symbol() string {
	name := f.Function
	if f.Receiver != "" {
		name = strings.TrimPrefix(f.Receiver, "*") + "." + name
	}
	return f.Package + "." + name
}

// read turns findings into verdicts. An advisory counts as absent only where
// the analysis agreed that its module is vulnerable and saw no code of it.
func read(r io.Reader, listed map[string]bool, absent vex.Justification, words string) (Verdicts, error) {
	out := Verdicts{}
	dec := json.NewDecoder(r)
	for {
		var m message
		err := dec.Decode(&m)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the analysis: %w", err)
		}
		f := m.Finding
		if f == nil || len(f.Trace) == 0 || !listed[f.OSV] {
			continue
		}
		top := f.Trace[0]
		reached := "reaches " + top.symbol()
		switch old, seen := out[f.OSV]; {
		case top.Function != "" && (!seen || !old.Affected || reached < old.Evidence): // the same one each time
			out[f.OSV] = scan.Reach{Affected: true, Evidence: reached}
		case !seen:
			out[f.OSV] = scan.Reach{Justification: string(absent), Evidence: "the vulnerable code " + words}
		}
	}
}
