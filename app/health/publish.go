package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fileMode lets a probe that runs as another user read the file; it holds names
// and public messages, never the text of errors.
const fileMode = 0o644

// WriteFile keeps a file at path that says how the group g is, for a probe of a
// program without a listener, until ctx ends. Its first line is "ok" or
// "fail: reason". It is replaced atomically on every change and at least once in
// every, so its modification time tells a probe that the program still runs. At
// the end it says that the program is stopping. Only a first write that fails is
// an error; later ones are tried again, and the file ages meanwhile.
func (r *Registry) WriteFile(ctx context.Context, g Group, path string, every time.Duration) error {
	if every <= 0 {
		return fmt.Errorf("write health file %s: interval %v is not positive", path, every)
	}
	r = r.or()
	ping := make(chan struct{}, 1)
	defer r.subscribe(&subscriber{ping: ping})()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	r.refresh(ctx, g)
	for first := true; ; first = false {
		if err := replaceFile(path, r.line(g)); err != nil && first {
			return fmt.Errorf("write health file: %w", err)
		}
		select {
		case <-ctx.Done():
			if err := replaceFile(path, "fail: stopped\n"); err != nil {
				return fmt.Errorf("write health file: %w", err)
			}
			return nil
		case <-ping: // nothing runs here, or a result would call for the next run
		case <-ticker.C:
			r.refresh(ctx, g)
		}
	}
}

// line returns what the file says: names and public messages, no error texts.
func (r *Registry) line(g Group) string {
	v := r.walk(g, true, nil)
	if v.state != Fail {
		return "ok\n"
	}
	var reasons []string
	if v.drain != "" {
		reasons = append(reasons, oneLine(v.drain))
	}
	for _, f := range v.failed {
		if f.level != Fail {
			continue
		}
		reason := f.check.name + " " + f.state.String()
		if f.check.public != "" {
			reason += " (" + f.check.public + ")"
		}
		reasons = append(reasons, oneLine(reason))
	}
	return "fail: " + strings.Join(reasons, ", ") + "\n"
}

// replaceFile writes a new file beside path and renames it, so that a reader
// sees the old text or the new and a symbolic link at path is not followed.
func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".health-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(fileMode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// socketMode admits the user of the program, which the container's probe is.
const socketMode = 0o600

// Limits of the socket's server. Its clients are probes on the same machine.
const (
	socketTimeout   = 10 * time.Second
	socketMaxHeader = 8 << 10
)

// ServeUnix answers HTTP on a unix socket at path as Mux does, until ctx ends. A
// socket that a dead process left behind is replaced; one that answers is an
// error, and so is any other file.
func (r *Registry) ServeUnix(ctx context.Context, path string, opts ...HandlerOption) error {
	l, err := listenUnix(path)
	if err != nil {
		return fmt.Errorf("serve health on unix socket: %w", err)
	}
	srv := &http.Server{
		Handler: r.or().Mux(opts...), MaxHeaderBytes: socketMaxHeader,
		ReadTimeout: socketTimeout, WriteTimeout: 3 * socketTimeout, IdleTimeout: socketTimeout,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // closes and removes the socket
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health on unix socket %s: %w", path, err)
	}
	return nil
}

func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s exists and is not a socket", path)
		}
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%s is in use by another process", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
