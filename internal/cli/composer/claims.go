package composer

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/internal/atomicfile"
)

// writeClaims puts what can be said about the images of a layout beside it, so
// that publishing the layout later loses nothing.
func writeClaims(dir string, r *build.Result) error {
	var out bytes.Buffer
	for _, c := range r.Claims {
		out.Write(c.Statement())
		out.WriteByte('\n')
	}
	if err := atomicfile.Update(filepath.Join(dir, oci.ClaimsFile), out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write attestations: %w", err)
	}
	return nil
}
