// Package govulncheck answers the questions of package reach with the library
// of the Go project. Only it links golang.org/x/vuln, so that the executable
// which asks need not.
package govulncheck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	vuln "golang.org/x/vuln/scan"

	"github.com/hardstand/hardstand/audit/scan/reach"
)

// maxRequest bounds a request, in bytes.
const maxRequest = 1 << 20

// Analyse is a reach.Analyser that works in this process.
func Analyse(ctx context.Context, r reach.Request, env []string) ([]byte, error) {
	args := []string{"-json", "-db=file://" + filepath.ToSlash(r.Database)}
	if r.Program != "" {
		args = append(args, "-mode=binary", r.Program)
	} else {
		args = append(args, "-C", r.Source, "./...")
	}
	var out limitedBuffer
	var stderr bytes.Buffer
	cmd := vuln.Command(ctx, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(""), &out, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%w %s", err, strings.TrimSpace(stderr.String()))
	}
	return out.data.Bytes(), nil
}

// Serve answers one request with the analysis's own stream of JSON. The
// environment is what the go command gets.
func Serve(ctx context.Context, in io.Reader, out io.Writer, env []string) error {
	data, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if len(data) > maxRequest {
		return fmt.Errorf("read request: it has more than %d bytes", maxRequest)
	}
	var r reach.Request
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := r.Check(); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	said, err := Analyse(ctx, r, env)
	if err != nil {
		return err
	}
	_, err = out.Write(said)
	return err
}

// limitedBuffer refuses to grow over reach.MaxAnswer. The buffer is not
// embedded, because its ReadFrom would pass Write by.
type limitedBuffer struct{ data bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.data.Len()+len(p) > reach.MaxAnswer {
		return 0, fmt.Errorf("the analysis printed more than %d bytes", reach.MaxAnswer)
	}
	return b.data.Write(p)
}
