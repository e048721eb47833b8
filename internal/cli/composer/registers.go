package composer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/canary/token"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// RegisterDir is where registers are kept unless a flag says otherwise.
func RegisterDir(f *cli.Frame) (string, error) {
	state, err := f.StateDir()
	return filepath.Join(state, "registers"), err
}

// saveRegisters writes, encrypted, what each image has, for whoever watches
// it. What was noted in the register of an image that was built before stays.
func (o *Options) saveRegisters(f *cli.Frame, d *spec.Definition, master alert.Master, r *build.Result) error {
	for _, img := range r.Images {
		if img.Register == nil {
			continue
		}
		if o.register == "" {
			var err error
			if o.register, err = RegisterDir(f); err != nil {
				return err
			}
		}
		rec := register.Record{
			Build: img.Register.Build, Image: d.Name, Platform: img.Platform.String(), Digest: img.Digest.String(),
			Owner: d.Canary.Owner, Route: d.Canary.Route, Planted: f.Now().UTC(), Decoys: img.Register.Decoys, Tokens: img.Register.Tokens,
		}
		file := filepath.Join(o.register, fmt.Sprintf("%s-%s%s", d.Name, rec.Build, register.Extension))
		old, err := ReadRegister(file, master)
		if errors.Is(err, register.ErrKey) {
			// Another key's register of the same build: its images may still
			// run somewhere.
			file = fmt.Sprintf("%s-%s.%x%s", d.Name, rec.Build, master.Derive("register file", 4), register.Extension)
			file = filepath.Join(o.register, file)
			old, err = ReadRegister(file, master)
		}
		if err == nil {
			rec.Planted, rec.LastDrill = old.Planted, old.LastDrill
			rec.Owner, rec.Route = cmp.Or(rec.Owner, old.Owner), cmp.Or(rec.Route, old.Route)
			if same(old, rec) {
				continue // syncing it again costs more than a warm build
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := WriteRegister(file, master, rec); err != nil {
			return err
		}
		if rec.Tokens != nil {
			if err := WriteIgnoreFiles(strings.TrimSuffix(file, register.Extension)+".ignore", *rec.Tokens); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteIgnoreFiles writes what keeps secret scanners from reporting tokens.
func WriteIgnoreFiles(dir string, r token.Register) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write ignore files: %w", err)
	}
	for name, content := range r.IgnoreFiles() {
		if err := atomicfile.ReplaceBytes(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write ignore files: %w", err)
		}
	}
	return nil
}

func same(a, b register.Record) bool {
	one, err := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(one, two)
}

// ReadRegister opens a register.
func ReadRegister(file string, masters ...alert.Master) (register.Record, error) {
	data, err := ReadLimited(file, register.MaxFile)
	if err != nil {
		return register.Record{}, fmt.Errorf("read register: %w", err)
	}
	rec, err := register.Open(data, masters...)
	if err != nil {
		return register.Record{}, fmt.Errorf("%s: %w", file, err)
	}
	return rec, nil
}

// WriteRegister writes a register that only its owner can read.
func WriteRegister(file string, master alert.Master, rec register.Record) error {
	sealed, err := register.Seal(master, rec)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write register: %w", err)
	}
	if err := atomicfile.ReplaceBytes(file, sealed, 0o600); err != nil {
		return fmt.Errorf("write register: %w", err)
	}
	return nil
}
