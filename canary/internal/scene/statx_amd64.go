package scene

const sysStatx = 332
