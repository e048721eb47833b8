package builder

import (
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli/composer"
)

// What the commands of this package share with those that compose.
var (
	readLimited = composer.ReadLimited
	readMaster  = composer.ReadMaster
	writeMaster = composer.WriteMaster
	writeFile   = atomicfile.ReplaceBytes
	writeNew    = atomicfile.Create
)
