;; Says hello and its first argument, so that what is read in a log is known to be this very run's. Anything unexpected
;; traps, which crun reports as exit code 1.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $arguments (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; 0: number of arguments; 4: their bytes; 8: bytes written; 16: what to write; 1024: the arguments' places; 8192: the
  ;; arguments themselves.
  (data (i32.const 64) "hello from WebAssembly: ")
  (data (i32.const 96) "\n")
  (func (export "_start")
    (local $word i32)
    (local $length i32)
    (if (call $sizes (i32.const 0) (i32.const 4)) (then (unreachable)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 2)) (then (unreachable)))
    (if (i32.gt_u (i32.load (i32.const 0)) (i32.const 1000)) (then (unreachable)))
    (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 50000)) (then (unreachable)))
    (if (call $arguments (i32.const 1024) (i32.const 8192)) (then (unreachable)))
    (local.set $word (i32.load (i32.const 1028)))
    (block $end
      (loop $next
        (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $word) (local.get $length)))))
        (local.set $length (i32.add (local.get $length) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.const 24))
    (i32.store (i32.const 24) (local.get $word))
    (i32.store (i32.const 28) (local.get $length))
    (i32.store (i32.const 32) (i32.const 96))
    (i32.store (i32.const 36) (i32.const 1))
    (if (call $write (i32.const 1) (i32.const 16) (i32.const 3) (i32.const 8)) (then (unreachable)))))
