// Package collector holds the commands of bin/hardstand-collector, one file a
// command. hardstand hands over to it, so its root is called hardstand too.
package collector

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/internal/cli"
)

// New returns the command tree.
func New(f *cli.Frame) *cobra.Command {
	root := &cobra.Command{
		Use:   "hardstand",
		Short: "Receive, verify and pass on the alarms of decoys",
		Example: `  hardstand canary collector --help
  hardstand canary test --help`,
		Version: f.Version,
	}
	canary := &cobra.Command{Use: "canary", Short: "The alarms of decoys", Example: "  hardstand canary collector --help"}
	canary.AddCommand(serveCommand(f), testCommand(f), adminTokenCommand(f))
	root.AddCommand(canary)
	return root
}

const (
	maxSecret = 4096 // bytes of a file with a secret
	maxConfig = 1 << 20
)

// masters reads the master secrets, by default the user's own.
func masters(f *cli.Frame, files []string) ([]alert.Master, error) {
	if len(files) == 0 {
		dir, err := f.ConfigDir()
		if err != nil {
			return nil, err
		}
		files = []string{filepath.Join(dir, "canary.key")}
	}
	var list []alert.Master
	for _, file := range files {
		text, err := readLimited(file, maxSecret)
		if err != nil {
			return nil, fmt.Errorf("read canary master secret: %w; `hardstand canary keygen` makes one", err)
		}
		m, err := alert.ParseMaster(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = append(list, m)
	}
	return list, nil
}

func readLimited(file string, limit int64) ([]byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return text, err
}
