package auditor

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/hardstand/hardstand/audit/image"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/internal/cli"
)

const maxCanaryKey = 4096 // bytes

// loadRegister reads a decoy register: sealed, as hardstand build writes it, or
// in the clear, as hardstand canary register show prints it. key is the canary
// key's file, by default the user's own; it is only needed for a sealed one,
// and only its holder can have sealed it.
func loadRegister(f *cli.Frame, file, key string) (*image.Register, error) {
	data, err := readLimited(file, image.MaxRegister)
	if err != nil {
		return nil, err
	}
	if _, err := register.Build(data); err == nil {
		if data, err = unseal(f, data, key); err != nil {
			return nil, fmt.Errorf("read decoy register %s: %w", file, err)
		}
	}
	return image.ParseRegister(file, data)
}

func unseal(f *cli.Frame, data []byte, key string) ([]byte, error) {
	if key == "" {
		dir, err := f.ConfigDir()
		if err != nil {
			return nil, err
		}
		key = filepath.Join(dir, "canary.key")
	}
	text, err := readLimited(key, maxCanaryKey)
	if err != nil {
		return nil, fmt.Errorf("it is sealed with a canary key; name it with --canary-key: %w", err)
	}
	master, err := alert.ParseMaster(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	record, err := register.Open(data, master)
	if err != nil {
		return nil, err
	}
	return json.Marshal(record)
}
