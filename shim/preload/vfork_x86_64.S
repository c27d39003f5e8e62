/* vfork_x86_64.S: the door of vfork(2). The child runs on this very stack until it execs or exits, and would overwrite the return
 * address and any frame of ours. So no frame is left, and what is needed afterwards stays in registers, which the kernel keeps for the
 * parent: the return address, and what fsh_vfork_before has answered. Memory would not do: a child may call vfork too. */
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
    movq %rax, %rsi
    movl $SYS_vfork, %eax
    syscall
    pushq %rdx
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
