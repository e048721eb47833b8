//go:build linux && (arm64 || riscv64 || loong64)

package scene

const sysStatx = 291
