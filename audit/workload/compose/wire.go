package compose

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxWire bounds a request and an answer, in bytes: a file of 4 MiB whose
// aliases are written out is larger than the file.
const maxWire = 64 << 20

// answer is what the other executable prints.
type answer struct {
	Project Project `json:"project"`
	Error   string  `json:"error,omitempty"` // about the file
}

// Serve answers requests, each a line, until the input ends. An error is about
// the streams; what is wrong with a file is in its answer.
func Serve(ctx context.Context, in io.Reader, out io.Writer, read Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxWire)
	for lines.Scan() {
		r, err := request(lines.Bytes())
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		var a answer
		if a.Project, err = read(ctx, r); err != nil {
			a.Error = err.Error()
		}
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("read request: it has more than %d bytes", maxWire)
	}
	return lines.Err()
}

func request(data []byte) (Request, error) {
	var r Request
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a size is a whole number, and stays one
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	for key, v := range r.Model {
		r.Model[key] = numbers(v)
	}
	return r, nil
}

// Asking returns a reader that asks what Serve answers.
func Asking(ask func(ctx context.Context, request []byte) ([]byte, error)) Reader {
	return func(ctx context.Context, r Request) (Project, error) {
		request, err := json.Marshal(r)
		if err != nil {
			return Project{}, err
		}
		data, err := ask(ctx, request)
		if err != nil {
			return Project{}, &UnavailableError{err}
		}
		var a answer
		if err := json.Unmarshal(data, &a); err != nil {
			return Project{}, &UnavailableError{fmt.Errorf("read answer about a Compose file: %w", err)}
		}
		if a.Error != "" {
			return Project{}, errors.New(a.Error)
		}
		return a.Project, nil
	}
}

// numbers turns numbers into those that a YAML reader gives.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			v[key] = numbers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = numbers(x)
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if x, err := v.Float64(); err == nil {
			return x
		}
		return v.String()
	}
	return v
}
