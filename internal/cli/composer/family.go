package composer

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/images"
	"github.com/hardstand/hardstand/internal/cli"
)

// LoadSource finds an image by the name of a built-in definition or by a file.
// Whatever has a slash or ends in .yaml is a file. A variant of NAME is called
// NAME-VARIANT, one of FILE is FILE#VARIANT.
func LoadSource(arg string) (*Source, error) {
	f, variant, err := loadFamily(arg)
	if err != nil {
		return nil, err
	}
	return f.source(variant)
}

// LoadSources finds an image as [LoadSource] does, and its variants after it if
// they are asked for.
func LoadSources(arg string, variants bool) ([]*Source, error) {
	return loadSources([]string{arg}, variants)
}

// family is a definition with its variants, built in or from a file.
type family struct {
	*spec.Family
	file string // "" for a built-in image
	name string // of a built-in image
}

// loadFamily finds a definition and which of its variants is meant.
func loadFamily(arg string) (f family, variant string, err error) {
	file, variant, _ := strings.Cut(arg, "#")
	if isFile(file) {
		f, err = loadFile(file)
	} else {
		f, variant, err = loadBuiltin(arg)
	}
	if err != nil {
		return family{}, "", err
	}
	if _, ok := f.Variant(variant); !ok {
		return family{}, "", cli.Usagef("%s has no variant %q: it has %s", f.Name, variant, variantNames(f.Family))
	}
	return f, variant, nil
}

func isFile(arg string) bool {
	return strings.ContainsRune(arg, filepath.Separator) || strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml")
}

func variantNames(f *spec.Family) string {
	names := make([]string, len(f.Variants))
	for i, v := range f.Variants {
		names[i] = v.Name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// loadBuiltin finds the image whose name is the longest that arg begins with.
func loadBuiltin(arg string) (family, string, error) {
	name, variant := arg, ""
	for {
		data, err := images.Files.ReadFile(name + ".yaml")
		if err == nil {
			f, err := spec.ParseFamily(name+".yaml", data, include)
			if err == nil {
				if _, ok := f.Variant(variant); !ok {
					break
				}
			}
			return family{Family: f, name: name}, variant, err
		}
		cut := strings.LastIndexByte(name, '-')
		if cut < 0 {
			break
		}
		name, variant = name[:cut], arg[cut+1:]
	}
	return family{}, "", cli.Usagef("there is no built-in image %q: use one of %s, or a file such as ./%s.yaml", arg, strings.Join(builtin(), ", "), arg)
}

// include finds what a definition includes: a file beside it, when the name
// starts with a dot or a slash, else a built-in part or image.
func include(from, name string) (string, []byte, error) {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(from), name)
		}
		data, err := ReadLimited(name, spec.MaxDefinition)
		return name, data, err
	}
	for _, file := range []string{"parts/" + name + ".yaml", name + ".yaml"} {
		if data, err := images.Files.ReadFile(file); err == nil {
			return "built-in " + file, data, nil
		}
	}
	return "", nil, errors.New("it is neither built in nor a file, which would begin with ./")
}

func loadFile(file string) (family, error) {
	data, err := ReadLimited(file, spec.MaxDefinition)
	if err != nil {
		return family{}, err
	}
	f, err := spec.ParseFamily(file, data, include)
	return family{Family: f, file: file}, err
}

// source returns one of the family with its lock. Variants with the same
// packages share a lock.
func (f family) source(variant string) (*Source, error) {
	s := &Source{Variant: variant}
	s.Definition, _ = f.Variant(variant)
	suffix := f.LockName(variant)
	if suffix != "" {
		suffix = "-" + suffix
	}
	if f.file == "" {
		if lock, err := images.Files.ReadFile(f.name + suffix + ".lock.json"); err == nil {
			if s.Lock, err = spec.ParseLock(f.name+suffix+".lock.json", lock); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
	s.dir = filepath.Dir(f.file)
	s.lockFile = strings.TrimSuffix(f.file, filepath.Ext(f.file)) + suffix + ".lock.json"
	lock, err := ReadLimited(s.lockFile, spec.MaxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.Lock, s.lockErr = spec.ParseLock(s.lockFile, lock)
	return s, nil
}

// definitionText returns a built-in definition as it was written.
func definitionText(name string) ([]byte, error) {
	f, _, err := loadBuiltin(name)
	if err != nil {
		return nil, err
	}
	return images.Files.ReadFile(f.name + ".yaml")
}
