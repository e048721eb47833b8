// Command link exists to assemble package stub: a test links it for each
// platform and copies the code out. It is never run.
package main

import "github.com/hardstand/hardstand/canary/decoy/internal/stub"

func main() { stub.Start() }
