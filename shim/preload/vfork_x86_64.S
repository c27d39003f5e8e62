/* vfork_x86_64.S: the door of vfork(2). The child runs on this very stack until it execs or exits, and would overwrite the return
 * address and any frame of ours; so the address is kept in thread-local memory (fsh_vfork_before says where), and no frame is left. */
#include <sys/syscall.h>

    .text
    .globl vfork
    .globl __vfork
    .type vfork, @function
    .type __vfork, @function
vfork:
__vfork:
    .cfi_startproc
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call fsh_vfork_before
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %rdx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rdx
    movq %rdx, (%rax)
    movq %rax, %rsi
    movl $SYS_vfork, %eax
    syscall
    pushq (%rsi)
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rip, 0
    testq %rax, %rax
    jz 1f
    movq %rax, %rdi
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call fsh_vfork_after
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
1:
    ret
    .cfi_endproc
    .size vfork, . - vfork
    .size __vfork, . - __vfork

    .section .note.GNU-stack, "", @progbits
