package secret

import (
	"errors"
	"fmt"
	"os"
)

// ClearEnv removes the variables from the environment: from what os.Getenv
// reads and child processes inherit and, on Linux, from the block that
// /proc/PID/environ shows to whoever may read it. The error tells what of the
// latter could not be done; the variables are unset in any case. Copies that the
// program made, and the container engine's own record, are out of reach.
func ClearEnv(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Unsetenv(name); err != nil {
			errs = append(errs, fmt.Errorf("clear environment %s: %w", name, err))
		}
	}
	if err := wipeEnv(names); err != nil {
		errs = append(errs, fmt.Errorf("clear initial environment: %w", err))
	}
	return errors.Join(errs...)
}
