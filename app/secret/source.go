package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Source is a place where a secret lives.
type Source interface {
	// Get returns the secret, in bytes that the caller owns. The error matches
	// ErrNotFound when the place does not have it, and holds no part of it.
	Get(ctx context.Context) ([]byte, error)

	// String names the place, not the secret: "environment DB_PASSWORD".
	String() string
}

// ErrNotFound says that a source does not have the secret.
var ErrNotFound = errors.New("secret not found")

// maxSecret bounds the bytes read of one secret: what Kubernetes allows.
const maxSecret = 1 << 20

// clean removes one line end, which editors and echo leave, and refuses what is
// no secret.
func clean(b []byte, keepNewline bool) ([]byte, error) {
	if len(b) > maxSecret {
		return nil, fmt.Errorf("larger than %d bytes", maxSecret)
	}
	if !keepNewline {
		if n := len(b); n > 0 && b[n-1] == '\n' {
			b = b[:n-1]
			if n := len(b); n > 0 && b[n-1] == '\r' {
				b = b[:n-1]
			}
		}
	}
	if len(b) == 0 {
		return nil, errors.New("empty")
	}
	return b, nil
}

type env struct {
	name  string
	clear bool

	mu    sync.Mutex
	taken []byte
}

// Env reads an environment variable each time it is asked. An empty variable
// counts as absent.
func Env(name string) Source { return &env{name: name} }

// EnvOnce reads an environment variable the first time it is asked, clears it as
// far as ClearEnv can, and remembers what it held.
func EnvOnce(name string) Source { return &env{name: name, clear: true} }

func (e *env) String() string { return "environment " + e.name }

func (e *env) Get(context.Context) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.taken != nil {
		return append([]byte(nil), e.taken...), nil
	}
	v := os.Getenv(e.name)
	if v == "" {
		return nil, ErrNotFound
	}
	if len(v) > maxSecret {
		return nil, fmt.Errorf("larger than %d bytes", maxSecret)
	}
	if e.clear {
		e.taken = []byte(v)
		// Unsetting cannot fail for a name that was just found. What may fail is
		// wiping the kernel's copy; a program that needs to know calls ClearEnv.
		_ = ClearEnv(e.name)
	}
	return []byte(v), nil
}

// EnvFile reads the file that the environment variable names, by the custom of
// images that take PASSWORD_FILE beside PASSWORD.
func EnvFile(name string, o FileOptions) Source { return envFile{name, o} }

type envFile struct {
	name string
	o    FileOptions
}

func (e envFile) String() string { return "file named by environment " + e.name }

func (e envFile) Get(ctx context.Context) ([]byte, error) {
	path := os.Getenv(e.name)
	if path == "" {
		return nil, ErrNotFound
	}
	b, err := File(path, e.o).Get(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%s does not exist", path) // it was promised
	}
	return b, err
}

// Credential reads a credential that systemd passed to the service with
// LoadCredential= or SetCredentialEncrypted=, from $CREDENTIALS_DIRECTORY; see
// systemd.exec(5).
func Credential(name string) Source { return credential(name) }

type credential string

func (c credential) String() string { return "systemd credential " + string(c) }

func (c credential) Get(ctx context.Context) ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, ErrNotFound
	}
	if !filepath.IsAbs(dir) {
		return nil, errors.New("CREDENTIALS_DIRECTORY is not an absolute path")
	}
	name := string(c)
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return nil, fmt.Errorf("credential name %q: use a file name without folders", name)
	}
	return File(filepath.Join(dir, name), FileOptions{}).Get(ctx)
}

// Func is a function as a Source of that name.
func Func(name string, get func(context.Context) ([]byte, error)) Source {
	return function{name, get}
}

type function struct {
	name string
	get  func(context.Context) ([]byte, error)
}

func (f function) String() string                          { return f.name }
func (f function) Get(ctx context.Context) ([]byte, error) { return f.get(ctx) }

// first asks the sources in order.
func first(ctx context.Context, name string, sources []Source) ([]byte, Source, error) {
	if len(sources) == 0 {
		return nil, nil, fmt.Errorf("read secret %s: no sources given", name)
	}
	asked := make([]string, 0, len(sources))
	for _, s := range sources {
		b, err := s.Get(ctx)
		switch {
		case err == nil && len(b) == 0:
			return nil, nil, fmt.Errorf("read secret %s from %s: empty", name, s)
		case err == nil:
			return b, s, nil
		case !errors.Is(err, ErrNotFound):
			return nil, nil, fmt.Errorf("read secret %s from %s: %w", name, s, err)
		}
		asked = append(asked, s.String())
	}
	return nil, nil, fmt.Errorf("read secret %s: %w in %s", name, ErrNotFound, strings.Join(asked, ", "))
}

// Read returns the secret from the first source that has it.
func Read(ctx context.Context, name string, sources ...Source) (String, error) {
	b, _, err := first(ctx, name, sources)
	if err != nil {
		return String{}, err
	}
	defer clear(b)
	return NewValue(string(b)), nil
}
