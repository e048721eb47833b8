package auditor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// writers are the formats of a scan's report.
var writers = map[string]func(o *scanOptions, r *scan.Report) ([]byte, error){
	"text": func(_ *scanOptions, r *scan.Report) ([]byte, error) {
		var b bytes.Buffer
		err := scan.WriteText(&b, r)
		return b.Bytes(), err
	},
	"json": func(_ *scanOptions, r *scan.Report) ([]byte, error) {
		data, err := json.MarshalIndent(r, "", "  ")
		return append(data, '\n'), err
	},
	"sarif":       func(_ *scanOptions, r *scan.Report) ([]byte, error) { return scan.SARIF(r) },
	"openvex":     func(o *scanOptions, r *scan.Report) ([]byte, error) { return scan.OpenVEX(r, o.author) },
	"vulns":       func(_ *scanOptions, r *scan.Report) ([]byte, error) { return scan.VulnsPredicate(r) },
	"cosign-vuln": func(_ *scanOptions, r *scan.Report) ([]byte, error) { return scan.CosignPredicate(r) },
}

func formats() []string {
	var list []string
	for name := range writers {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// print writes the report to stdout and to the files that were asked for.
func (o *scanOptions) print(f *cli.Frame, r *scan.Report) error {
	for _, w := range o.write {
		format, file, _ := strings.Cut(w, "=")
		data, err := writers[format](o, r)
		if err != nil {
			return err
		}
		if err := atomicfile.ReplaceBytes(file, data, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	data, err := writers[o.format](o, r)
	if err != nil {
		return err
	}
	_, err = f.Stdout.Write(data)
	return err
}
